import type { OpenGuestDependencies } from '../unpack/open-guest.ts';

export type MigrateDependencies = OpenGuestDependencies;
