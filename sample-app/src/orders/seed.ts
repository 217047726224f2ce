import type { DataSource } from 'typeorm';
import { Customer } from './customer.entity.js';
import { Order } from './order.entity.js';

const CUSTOMERS = ['Ada', 'Bohdan', 'Chiara', 'Daniel', 'Esra'];
const PRODUCTS: readonly (readonly [name: string, cents: number])[] = [
  ['Coffee beans', 1_290],
  ['Tea pot', 2_450],
  ['Honey', 790],
  ['Espresso cup', 950],
];

/** Customers, and orders of the last 90 days, so that reports have something to report. Does nothing the second time. */
export async function seed(dataSource: DataSource, today: Date): Promise<void> {
  await dataSource.transaction(async (manager) => {
    if ((await manager.count(Customer)) > 0) return;
    const customers = await manager.save(
      CUSTOMERS.map((name) => manager.create(Customer, { name, email: `${name.toLowerCase()}@customers.example` })),
    );
    const orders = Array.from({ length: 360 }, (_, index) => {
      const [product, cents] = PRODUCTS[index % PRODUCTS.length] as readonly [string, number];
      const quantity = (index % 3) + 1;
      const day = new Date(today.getTime() - (index % 90) * 86_400_000).toISOString().slice(0, 10);
      const customer = customers[index % customers.length] as Customer;
      return manager.create(Order, { customerId: customer.id, product, quantity, cents: cents * quantity, day });
    });
    await manager.save(orders, { chunk: 100 });
  });
}
