import { posix } from 'node:path';

/** One file of the repository that takes something from another, or from a library. */
export type Import = { from: string; to: string };

const importing = [
  /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"\n]+)['"]/gm,
  /^\s*import\s*['"]([^'"\n]+)['"]/gm,
  /\bimport\(\s*['"]([^'"\n]+)['"]\s*\)/g,
];

/**
 * What a TypeScript file imports, types included. Files of the repository are named by their path from its root,
 * everything else as it is written.
 */
export function importsOf(path: string, source: string): Import[] {
  return importing
    .flatMap((pattern) => [...source.matchAll(pattern)].map(([, specifier = '']) => specifier))
    .map((specifier) => ({ from: path, to: resolve(path, specifier) }));
}

function resolve(path: string, specifier: string): string {
  if (specifier.startsWith('.')) return posix.normalize(posix.join(posix.dirname(path), specifier));
  return specifier.startsWith('#') ? specifier.slice(1) : specifier;
}
