/**
 * How long work tells that it is alive. Passes report steps; the caller decides what to draw.
 */

/** One piece of work that counts its steps. */
export interface ProgressTask {
  /** `done` of the task's total; `detail` is a short word on what is being done. */
  update(done: number, detail?: string): void;
  end(): void;
}

export interface Progress {
  /** Begins a task of `total` steps; undefined when the total is not known. */
  task(label: string, total?: number): ProgressTask;
}

const silentTask: ProgressTask = { update() {}, end() {} };

/** Reports nothing; the default of every library function. */
export const silent: Progress = { task: () => silentTask };
