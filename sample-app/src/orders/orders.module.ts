import { Injectable, Module } from '@nestjs/common';
import type { OnApplicationBootstrap } from '@nestjs/common';
import { InjectDataSource, TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Customer } from './customer.entity.js';
import { Order } from './order.entity.js';
import { seed } from './seed.js';

@Injectable()
export class OrderSeeder implements OnApplicationBootstrap {
  constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  async onApplicationBootstrap(): Promise<void> {
    await seed(this.dataSource, new Date());
  }
}

@Module({ imports: [TypeOrmModule.forFeature([Customer, Order])], exports: [TypeOrmModule] })
export class OrdersModule {}
