#!/usr/bin/env node
import { fileURLToPath } from 'node:url';
import { runCommandLine } from './command-line-program.js';

// Children of a worker are started from this file, also where it was started by a link to it.
process.argv[1] = fileURLToPath(import.meta.url);
await runCommandLine(process.argv.slice(2));
