/** The state that a guest's images are in, as doc/store.md describes it. */
export type Consistency = 'halted' | 'frozen' | 'after-a-crash';
