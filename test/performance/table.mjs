/** The numbers of one kind of store: printed as they come, and as a whole at the end. */
export class Table {
  #rows = new Map();

  put(side, column, text) {
    if (!this.#rows.has(side)) this.#rows.set(side, new Map());
    this.#rows.get(side).set(column, text);
    console.log(`  ${column.padEnd(52)} ${side.padEnd(28)} ${text}`);
  }

  /** As Markdown, with a row for each measurement, because there are more of them than sides. */
  print(title) {
    const sides = [...this.#rows.keys()];
    const columns = [...new Set([...this.#rows.values()].flatMap((row) => [...row.keys()]))];
    const line = (cells) => `| ${cells.join(' | ')} |`;
    console.log(`\n${title}\n`);
    console.log(line(['', ...sides]));
    console.log(line(['---', ...sides.map(() => '---')]));
    for (const column of columns) {
      console.log(line([column, ...sides.map((side) => this.#rows.get(side).get(column) ?? '–')]));
    }
  }
}
