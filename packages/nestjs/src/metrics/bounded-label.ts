/** In place of names beyond the bound. */
export const OTHER = '(other)';

/**
 * Values of a label, so many at most: each one is a time series that lives as long as the process, and names come from
 * senders.
 */
export class BoundedLabel {
  private readonly seen = new Set<string>();

  constructor(private readonly most: number) {}

  of(name: string): string {
    if (this.seen.has(name)) return name;
    if (this.seen.size >= this.most) return OTHER;
    this.seen.add(name);
    return name;
  }
}
