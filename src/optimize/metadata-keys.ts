/** What made the file, in the file: read back by `pare verify` and `pare inspect`. */
export const recipeKey = 'pare.recipe';
export const versionKey = 'pare.version';
