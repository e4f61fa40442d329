export function digestOf(archive: string): string;
export function revisionOf(archive: string): string;
export function fileIn(archive: string, path: string): string;
