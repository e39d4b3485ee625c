import type { MigrateDependencies } from '../../operations/migrate/migrate-dependencies.ts';
import type { Command } from '../options/command.ts';
import {
  defineMigrateOptions,
  readMigrateRequest,
  repeatableMigrateOptions,
} from '../options/migrate-request.ts';
import { migrationPlanText, migrationReportText } from '../texts/migration-text.ts';

export const migrateCommand: Command<MigrateDependencies> = {
  usage: 'migrate <guest>',
  summary: 'Move a guest to new hardware and boot it there',
  repeatable: repeatableMigrateOptions,
  define: defineMigrateOptions,
  read: (args) => {
    const request = readMigrateRequest(args);
    return async ({ dependencies, context }) => {
      const { migrate } = await import('../../operations/migrate/migrate.ts');
      const answer = await migrate(request, dependencies, context);
      const text = answer.type === 'plan' ? migrationPlanText(answer) : migrationReportText(answer);
      return { record: answer, text, isSummary: answer.type !== 'plan' };
    };
  },
};
