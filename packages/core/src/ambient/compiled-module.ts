/**
 * URL of a sibling module as Node itself can load it in a thread or a child. From the published package that is the
 * module as named. When the package runs from its TypeScript sources (its own tests do), Node cannot load those, and
 * the build output is meant.
 */
export function compiledModule(importMetaUrl: string, relative: string): URL {
  const url = new URL(relative, importMetaUrl);
  return importMetaUrl.endsWith('.ts') ? new URL(url.href.replace('/src/', '/dist/')) : url;
}
