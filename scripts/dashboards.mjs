// Draws the pictures of the dashboards in docs/images: two drivers work on a simulated GPFS while a Prometheus scrapes
// them, and each panel is drawn from what that Prometheus answers to its expressions. It takes five minutes, and needs
// root for the simulator.
import { writeFile } from 'node:fs/promises';
import { dashboards } from '../test/chart/monitoring/expressions.ts';
import { drawBoard } from '../test/support/tools/boards/draw.ts';
import { askPanels } from '../test/support/tools/boards/panels.ts';
import { watchTraffic } from '../test/support/tools/boards/traffic.ts';

// The first count of a root comes a minute after the start of a server.
const seconds = Number(process.argv[2] ?? 240);
const watched = await watchTraffic(seconds);
try {
  for (const [name, board] of dashboards()) {
    const file = new URL(`../docs/images/dashboard-${name}.svg`, import.meta.url);
    await writeFile(file, drawBoard(board.title, await askPanels(watched, board)));
    console.log(file.pathname);
  }
} finally {
  await watched.close();
}
