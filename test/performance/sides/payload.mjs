/** About 200 bytes of JSON, the same for every side. */
export const payload = (index) => ({
  index,
  kind: 'order.created',
  customer: `customer-${index % 1000}`,
  note: 'x'.repeat(110),
});
