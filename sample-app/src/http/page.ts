import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsInt, IsOptional, Max, Min } from 'class-validator';

export class PageQuery {
  @ApiPropertyOptional({ default: 1, minimum: 1 })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(1_000_000)
  page?: number;

  @ApiPropertyOptional({ default: 50, minimum: 1, maximum: 500 })
  @IsOptional()
  @Type(() => Number)
  @IsInt()
  @Min(1)
  @Max(500)
  limit?: number;
}

/** One page of a list; each list's own class adds `items`. */
export class Page {
  @ApiProperty()
  page: number;

  @ApiProperty()
  limit: number;

  @ApiProperty({ description: 'Rows in all' })
  total: number;
}

/** What a query asks for, in rows. */
export function rowsOf({ page = 1, limit = 50 }: PageQuery): {
  page: number;
  limit: number;
  skip: number;
  take: number;
} {
  return { page, limit, skip: (page - 1) * limit, take: limit };
}
