import { applyDecorators, Controller, UseGuards } from '@nestjs/common';
import { ApiSecurity, ApiTags, ApiUnauthorizedResponse } from '@nestjs/swagger';
import { AdminGuard } from './admin.guard.js';

/** A controller under `/admin`, closed without the key. */
export function AdminController(path: string): ClassDecorator {
  return applyDecorators(
    Controller(`admin/${path}`),
    UseGuards(AdminGuard),
    ApiTags(`admin/${path}`),
    ApiSecurity('admin'),
    ApiUnauthorizedResponse({ description: 'Without the admin key' }),
  );
}
