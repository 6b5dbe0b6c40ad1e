#!/usr/bin/env node
/**
 * The program `pare`. Everything is in frame.ts, so that tests can run it too.
 */
import { commands } from './commands/index.js';
import { runCli } from './frame.js';

// An explicit exit: a worker of the engine must not keep a finished command alive.
process.exit(await runCli(process.argv.slice(2), commands));
