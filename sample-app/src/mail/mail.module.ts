import { Body, Controller, HttpCode, Module, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOperation, ApiProperty, ApiPropertyOptional, ApiTags } from '@nestjs/swagger';
import { InjectRepository, TypeOrmModule } from '@nestjs/typeorm';
import { TaskClient } from '@taskqueue/nestjs';
import { IsNumber, IsOptional, Max, Min } from 'class-validator';
import { Repository } from 'typeorm';
import { InvalidFields } from '../http/field-error.js';
import { Fits, Text } from '../http/field.decorators.js';
import { Customer } from '../orders/customer.entity.js';
import { OrdersModule } from '../orders/orders.module.js';
import { TaskAccepted } from '../tasks/task-accepted.dto.js';
import { DeliveryLog } from './delivery-log.entity.js';
import { CustomerId, FeedbackSchema, MailTasks } from './mail.tasks.js';
import { Mailer } from './mailer.js';

/** A welcome that comes later is none. */
const LONGEST_WAIT_SECONDS = 30 * 86_400;

class WelcomeDto {
  @ApiProperty({ example: 1 })
  @Fits(CustomerId)
  userId: number;

  @ApiPropertyOptional({ description: 'Seconds to wait before the mail is sent', example: 5 })
  @IsOptional()
  @IsNumber()
  @Min(0)
  @Max(LONGEST_WAIT_SECONDS)
  countdown?: number;
}

class FeedbackDto {
  @ApiProperty({ example: 'ada@customers.example' })
  @Fits(FeedbackSchema.shape.email)
  email: string;

  @ApiProperty({ example: 'The coffee is excellent.' })
  @Text(1, 10_000)
  message: string;
}

@ApiTags('storefront')
@Controller()
export class MailController {
  constructor(
    private readonly tasks: TaskClient,
    @InjectRepository(Customer) private readonly customers: Repository<Customer>,
  ) {}

  @ApiOperation({ summary: 'A welcome mail, now or in some seconds' })
  @Post('mail/welcome')
  @HttpCode(202)
  @ApiAcceptedResponse({ type: TaskAccepted })
  async welcome(@Body() { userId, countdown = 0 }: WelcomeDto): Promise<TaskAccepted> {
    if (!(await this.customers.existsBy({ id: userId }))) {
      throw new InvalidFields([{ field: 'userId', message: `There is no customer with the id ${userId}` }]);
    }
    const handle = await this.tasks.for(MailTasks).sendWelcome.applyAsync([userId], { countdown: countdown * 1_000 });
    return { taskId: handle.id };
  }

  @ApiOperation({ summary: 'Feedback, thanked for with a mail' })
  @Post('feedback')
  @HttpCode(202)
  @ApiAcceptedResponse({ type: TaskAccepted })
  async feedback(@Body() { email, message }: FeedbackDto): Promise<TaskAccepted> {
    const handle = await this.tasks.for(MailTasks).thankForFeedback.delay({ email, message });
    return { taskId: handle.id };
  }
}

@Module({
  imports: [OrdersModule, TypeOrmModule.forFeature([DeliveryLog])],
  controllers: [MailController],
  providers: [MailTasks, Mailer],
})
export class MailModule {}
