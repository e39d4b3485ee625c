/** As guest/definition.ts demands of the names of models, machine types and bridges. */
export function isPlainName(name: string | undefined): name is string {
  return name !== undefined && /^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/.test(name);
}
