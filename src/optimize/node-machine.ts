/**
 * The machine and the versions that a measurement was made with, for receipts and benchmarks.
 */
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';

export interface Machine {
  readonly cpu: string;
  /** Processors that this process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
  readonly os: string;
  readonly arch: string;
  readonly node: string;
  /**
   * Whether the CPU multiplies int8 in one instruction (AVX512-VNNI, AVX-VNNI). Without it u8 * s8
   * kernels are slower and, on AVX2, saturate: int8 figures hold for machines of the same kind.
   * Null where the system does not tell.
   */
  readonly vnni: boolean | null;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    os: `${platform()} ${release()}`,
    arch: arch(),
    node: process.version,
    vnni: hasVnni(),
  };
}

function hasVnni(): boolean | null {
  try {
    return /\bavx(512)?_vnni\b/.test(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return null;
  }
}
