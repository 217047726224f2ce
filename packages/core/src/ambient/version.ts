/** Of all packages: they share one, which `package.json` has as well. */
export const VERSION = '0.1.0';
