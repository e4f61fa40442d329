import { describe, expect, test } from 'vitest';
import { Track, newWrites, wrongBlock } from '../../chaos/model.ts';
import { blockBytes, blockOf, firstByte, readBlock } from '../../chaos/pattern.ts';
import { randomOf } from '../../chaos/random.ts';

describe('a block', () => {
  const mark = { object: 7, write: 12, slot: 3 };

  test('says what it is', () => {
    expect(readBlock(blockOf(mark))).toEqual(mark);
    expect(readBlock(Buffer.alloc(blockBytes))).toBe('zeros');
    expect(readBlock(Buffer.alloc(0))).toBe('zeros');
  });

  test('one other byte is seen, and where it lies', () => {
    const block = blockOf(mark);
    block[2049] = 0xff;
    expect(readBlock(block)).toEqual({
      wrong: 'torn at byte 2049: begins as write 12 to slot 3',
    });
    expect(readBlock(Buffer.alloc(blockBytes, 'x'))).toMatchObject({ wrong: /^no block of/ });
  });

  test('bytes between blocks are found', () => {
    const text = Buffer.alloc(3 * blockBytes);
    expect(firstByte(text, 0, text.length)).toBe(-1);
    text[5000] = 1;
    expect(firstByte(text, 0, text.length)).toBe(5000);
  });
});

describe('what a volume may hold', () => {
  const writes = newWrites();
  const volume = new Track(4);
  const first = writes.begin(volume, 0);
  const sees = (content: Track['content'], write: number) =>
    wrongBlock(writes, content, 0, write === 0 ? 'zeros' : { object: 4, write, slot: 0 });

  test('either value while a write is not acknowledged, and only the new one afterwards', () => {
    expect([sees(volume.content, 0), sees(volume.content, first)]).toEqual([undefined, undefined]);
    volume.done(0, first);
    expect(sees(volume.content, first)).toBeUndefined();
    expect(sees(volume.content, 0)).toBe('slot 0 holds zeros instead of write 1');
  });

  test('a window holds all that was there meanwhile, and nothing later', () => {
    const window = volume.open();
    const second = writes.begin(volume, 0);
    volume.done(0, second);
    const seen = window.close();
    const third = writes.begin(volume, 0);
    volume.done(0, third);
    expect([first, second].map((write) => sees(seen, write))).toEqual([undefined, undefined]);
    expect(sees(seen, third)).toMatch(/^slot 0 holds write 3 of object 4/);
  });

  test('a block of another object is wrong', () => {
    const stray = { object: 5, write: 3, slot: 0 };
    expect(wrongBlock(writes, volume.content, 0, stray)).toMatch(/write 3 of object 5/);
  });
});

test('a seed decides the choices, and each user of it has its own', () => {
  const choices = (seed: number, name: string) => {
    const { int } = randomOf(seed, name);
    return Array.from({ length: 8 }, () => int(1000));
  };
  expect(choices(1, 'a')).toEqual(choices(1, 'a'));
  expect(choices(1, 'a')).not.toEqual(choices(2, 'a'));
  expect(choices(1, 'a')).not.toEqual(choices(1, 'b'));
});
