/** `archive`: path of the file that `uri` will serve. Throws where the template lacks a place. */
export function krewManifest(
  template: string,
  release: { readonly version: string; readonly archive: string; readonly uri: string },
): string;
