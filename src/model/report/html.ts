import { createHash } from 'node:crypto';
import type { ReportData } from './data.ts';

/** The program and the style of the page, as text. */
export interface PageParts {
  readonly script: string;
  readonly style: string;
}

/**
 * The whole page. Its policy allows this script and this style only, and no network at all; names of users are in it
 * as JSON, in which no character can end the element that holds it.
 */
export const reportHtml = ({ script, style }: PageParts, data: ReportData): string =>
  [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${policyOf({ script, style })}">`,
    '<meta name="viewport" content="width=device-width">',
    '<meta name="referrer" content="no-referrer">',
    '<meta name="color-scheme" content="light dark">',
    '<title>gpfs-csi report</title>',
    `<style>${style}</style>`,
    '</head>',
    '<body>',
    '<noscript>This page draws itself with the script in it: allow scripts of this file.</noscript>',
    '<div id="page"></div>',
    `<script type="application/json" id="data">${embeddedJson(data)}</script>`,
    `<script>${script}</script>`,
    '</body>',
    '</html>',
    '',
  ].join('\n');

const policyOf = ({ script, style }: PageParts): string =>
  [
    "default-src 'none'",
    `script-src '${digest(script)}'`,
    `style-src '${digest(style)}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');

const digest = (text: string): string =>
  `sha256-${createHash('sha256').update(text).digest('base64')}`;

// Escaped in JSON, no `<` can begin a tag or a comment, and the parser of HTML sees plain text.
const embeddedJson = (data: ReportData): string =>
  JSON.stringify(data).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
