import { Body, Controller, HttpCode, Injectable, Module, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOperation, ApiProperty, ApiTags } from '@nestjs/swagger';
import { InjectRepository } from '@nestjs/typeorm';
import { SharedTask, TaskClient, TaskHost } from '@taskqueue/nestjs';
import { Between, Repository } from 'typeorm';
import { Day, NotBefore } from '../http/field.decorators.js';
import { Order } from '../orders/order.entity.js';
import { OrdersModule } from '../orders/orders.module.js';
import { TaskAccepted } from '../tasks/task-accepted.dto.js';

/** Checks the request at the API and the arguments of the task: one class for both. */
export class SalesPeriod {
  @ApiProperty({ example: '2026-01-01' })
  @Day()
  from: string;

  @ApiProperty({ example: '2026-12-31' })
  @Day()
  @NotBefore('from')
  to: string;
}

export interface SalesReport {
  readonly from: string;
  readonly to: string;
  readonly orders: number;
  readonly cents: number;
  readonly products: readonly { readonly product: string; readonly quantity: number; readonly cents: number }[];
}

@Injectable()
@TaskHost({ name: 'reports', queue: 'reports' })
export class ReportTasks {
  constructor(@InjectRepository(Order) private readonly orders: Repository<Order>) {}

  @SharedTask({ schema: SalesPeriod, params: ['period'] })
  async sales(period: SalesPeriod): Promise<SalesReport> {
    const { from, to } = period;
    const orders = await this.orders.findBy({ day: Between(from, to) });
    const byProduct = new Map<string, { product: string; quantity: number; cents: number }>();
    for (const { product, quantity, cents } of orders) {
      const line = byProduct.get(product) ?? { product, quantity: 0, cents: 0 };
      byProduct.set(product, { product, quantity: line.quantity + quantity, cents: line.cents + cents });
    }
    const products = [...byProduct.values()].sort((a, b) => b.cents - a.cents);
    return { from, to, orders: orders.length, cents: products.reduce((sum, line) => sum + line.cents, 0), products };
  }
}

@ApiTags('storefront')
@Controller('reports')
export class ReportsController {
  constructor(private readonly tasks: TaskClient) {}

  @ApiOperation({ summary: 'A report of what was sold in a period' })
  @Post('sales')
  @HttpCode(202)
  @ApiAcceptedResponse({ type: TaskAccepted })
  async sales(@Body() { from, to }: SalesPeriod): Promise<TaskAccepted> {
    const handle = await this.tasks.for(ReportTasks).sales.delay({ from, to });
    return { taskId: handle.id };
  }
}

@Module({ imports: [OrdersModule], controllers: [ReportsController], providers: [ReportTasks] })
export class ReportsModule {}
