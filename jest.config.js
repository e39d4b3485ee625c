import { swcOptions } from './test/setup/swc-options.mjs';

export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  globalSetup: '<rootDir>/test/setup/make-scratch.mjs',
  globalTeardown: '<rootDir>/test/setup/remove-scratch.mjs',
  testMatch: ['**/*.test.ts'],
  // For a tier run by hand; `npm test` sets both by tier.
  testTimeout: 120_000,
  maxWorkers: 2,
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', swcOptions] },
};
