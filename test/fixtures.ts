/**
 * The fixture runner under the name that tests outside of src use. It lives in src/testing, since
 * the type checker's root is src and tests beside the passes import it too.
 */
export * from '../src/testing/node-fixtures.js';
