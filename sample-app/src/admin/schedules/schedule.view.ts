import { ApiProperty, IntersectionType } from '@nestjs/swagger';
import { Page } from '../../http/page.js';
import { ClockedDto, CrontabDto, IntervalDto, SolarDto } from './schedule.dto.js';

/** What every answer about a schedule has beside the schedule's own fields. */
export class ScheduleFacts {
  @ApiProperty()
  id: number;

  @ApiProperty({ description: 'In words' })
  description: string;

  @ApiProperty({ type: [String], description: 'The next five runs' })
  nextRuns: string[];

  @ApiProperty({ description: 'The time zone of the next runs' })
  timezone: string;
}

export class CrontabView extends IntersectionType(CrontabDto, ScheduleFacts) {}
export class IntervalView extends IntersectionType(IntervalDto, ScheduleFacts) {}
export class ClockedView extends IntersectionType(ClockedDto, ScheduleFacts) {}
export class SolarView extends IntersectionType(SolarDto, ScheduleFacts) {}

export class CrontabPage extends Page {
  @ApiProperty({ type: [CrontabView] })
  items: CrontabView[];
}

export class IntervalPage extends Page {
  @ApiProperty({ type: [IntervalView] })
  items: IntervalView[];
}

export class ClockedPage extends Page {
  @ApiProperty({ type: [ClockedView] })
  items: ClockedView[];
}

export class SolarPage extends Page {
  @ApiProperty({ type: [SolarView] })
  items: SolarView[];
}
