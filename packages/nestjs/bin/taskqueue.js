#!/usr/bin/env node
// There before the package is built, so that package managers can link it.
import '../dist/cli/main.js';
