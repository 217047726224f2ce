import type { CanActivate, ExecutionContext } from '@nestjs/common';
import { Injectable, UnauthorizedException } from '@nestjs/common';
import type { Request } from 'express';
import { isAdminKey } from './admin-key.js';

/** Closed without the header `x-api-key`. */
@Injectable()
export class AdminGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<Request>();
    if (isAdminKey(request.headers['x-api-key'])) return true;
    throw new UnauthorizedException('Give the admin key in the header x-api-key.');
  }
}
