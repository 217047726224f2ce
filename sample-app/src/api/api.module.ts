import { Module } from '@nestjs/common';
import { AdminModule } from '../admin/admin.module.js';
import { AppModule } from '../app.module.js';
import { OrderSeeder } from '../orders/orders.module.js';

/** The application as the API serves it. */
@Module({ imports: [AppModule, AdminModule], providers: [OrderSeeder] })
export class ApiModule {}
