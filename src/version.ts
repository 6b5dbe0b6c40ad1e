/** The version of pare, for metadata and receipts. Kept equal to package.json by scripts/generate.mjs. */
export const version = '0.1.0';
