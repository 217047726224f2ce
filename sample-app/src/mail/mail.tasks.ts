import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import type { TaskContext } from '@taskqueue/nestjs';
import { Crontab, SharedTask, Task, TaskHost } from '@taskqueue/nestjs';
import { EntityNotFoundError, Repository } from 'typeorm';
import { z } from 'zod';
import { Customer } from '../orders/customer.entity.js';
import { Order } from '../orders/order.entity.js';
import { DeliveryLog } from './delivery-log.entity.js';
import type { Mail } from './mailer.js';
import { Mailer } from './mailer.js';

/** A number that the column of customers can hold. */
export const CustomerId = z.int32().positive();
export const FeedbackSchema = z.object({ email: z.email().max(254), message: z.string().min(1).max(10_000) });
export type Feedback = z.infer<typeof FeedbackSchema>;

/** Mails are retried with backoff, and sent once: the delivery log remembers the task. */
@Injectable()
@TaskHost({
  name: 'mail',
  queue: 'mail',
  // A customer who is gone does not come back.
  retry: { for: true, notFor: [EntityNotFoundError], max: 5, backoff: 'exponential' },
  timeLimit: '30s',
})
export class MailTasks {
  constructor(
    private readonly mailer: Mailer,
    @InjectRepository(Customer) private readonly customers: Repository<Customer>,
    @InjectRepository(Order) private readonly orders: Repository<Order>,
    @InjectRepository(DeliveryLog) private readonly log: Repository<DeliveryLog>,
  ) {}

  @SharedTask({ schema: CustomerId, params: ['userId'] })
  async sendWelcome(userId: number, @Task() task: TaskContext): Promise<{ messageId: string }> {
    const customer = await this.customers.findOneByOrFail({ id: userId });
    const { name, email } = customer;
    return this.deliver(
      { to: email, subject: `Welcome, ${name}!`, template: 'welcome', values: { name, userId } },
      task,
    );
  }

  @SharedTask({ schema: FeedbackSchema, params: ['feedback'] })
  async thankForFeedback(feedback: Feedback, @Task() task: TaskContext): Promise<{ messageId: string }> {
    const { email, message } = feedback;
    return this.deliver({ to: email, subject: 'Thank you', template: 'feedback', values: { message } }, task);
  }

  @SharedTask()
  @Crontab(
    { hour: 15, minute: 0, timezone: 'Europe/Berlin' },
    { description: 'What was sold yesterday', overlap: 'skip' },
  )
  async sendDailyUpdate(@Task() task: TaskContext): Promise<{ messageId: string }> {
    const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
    const orders = await this.orders.findBy({ day: yesterday });
    const revenue = orders.reduce((sum, order) => sum + order.cents, 0);
    const values = { orders: orders.length, revenue: `${(revenue / 100).toFixed(2)} EUR` };
    return this.deliver(
      { to: 'owner@storefront.example', subject: 'Yesterday in the shop', template: 'daily', values },
      task,
    );
  }

  private async deliver(mail: Mail, task: TaskContext): Promise<{ messageId: string }> {
    const before = await this.log.findOneBy({ taskId: task.id });
    if (before !== null) return { messageId: before.messageId };
    const { messageId } = await this.mailer.send(mail, task.idempotencyKey);
    const { to: recipient, subject } = mail;
    await this.log.insert({ taskId: task.id, recipient, subject, messageId, sentAt: new Date().toISOString() });
    return { messageId };
  }
}
