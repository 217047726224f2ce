import { Body, Controller, HttpCode, Module, Post } from '@nestjs/common';
import { ApiAcceptedResponse, ApiOperation, ApiProperty, ApiPropertyOptional, ApiTags } from '@nestjs/swagger';
import { TypeOrmModule } from '@nestjs/typeorm';
import { TaskClient } from '@taskqueue/nestjs';
import { IsEmail, IsInt, IsNumber, IsOptional, IsPositive, IsString, Length, Min } from 'class-validator';
import { OrdersModule } from '../orders/orders.module.js';
import { TaskAccepted } from '../tasks/task-accepted.dto.js';
import { DeliveryLog } from './delivery-log.entity.js';
import { MailTasks } from './mail.tasks.js';
import { Mailer } from './mailer.js';

class WelcomeDto {
  @ApiProperty({ example: 1 })
  @IsInt()
  @IsPositive()
  userId: number;

  @ApiPropertyOptional({ description: 'Seconds to wait before the mail is sent', example: 5 })
  @IsOptional()
  @IsNumber()
  @Min(0)
  countdown?: number;
}

class FeedbackDto {
  @ApiProperty({ example: 'ada@customers.example' })
  @IsEmail()
  email: string;

  @ApiProperty({ example: 'The coffee is excellent.' })
  @IsString()
  @Length(1, 10_000)
  message: string;
}

@ApiTags('storefront')
@Controller()
export class MailController {
  constructor(private readonly tasks: TaskClient) {}

  @ApiOperation({ summary: 'A welcome mail, now or in some seconds' })
  @Post('mail/welcome')
  @HttpCode(202)
  @ApiAcceptedResponse({ type: TaskAccepted })
  async welcome(@Body() { userId, countdown = 0 }: WelcomeDto): Promise<TaskAccepted> {
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
