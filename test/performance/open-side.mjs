/** Loads a side by name; peers are loaded only when they are asked for. */
export async function openSide({ side, url, options = {} }) {
  const module = await import(`./sides/${side}.mjs`);
  return module.open(url, options);
}
