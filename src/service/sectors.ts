/** The sector size that whatever is made from a file inherits, where it has one of its own. */
export const sectorsOf = ({
  sectorBytes,
}: {
  readonly sectorBytes?: number | undefined;
}): { readonly sectorBytes?: number } => (sectorBytes === undefined ? {} : { sectorBytes });
