/** "This machine": what there is and how much of it is free. */
import { bytes, percent } from '@deepft-lab/parts';
import type { Gpu, Machine } from '@deepft-lab/parts';

export function machineSummary(machine: Machine): string {
  const gpus = machine.gpus.length;
  const gpu = gpus === 0 ? 'no GPU' : gpus === 1 ? '1 GPU' : `${gpus} GPUs`;
  return `CPU ${machine.cpus} · ${gpu}`;
}

export function MachineFigures({ machine }: { machine: Machine }): JSX.Element {
  const used = machine.memory_total - machine.memory_available;
  return (
    <div className="deepft-Machine">
      <div className="deepft-Figure">
        <span>CPU</span>
        <span>{machine.cpus === 1 ? '1 core' : `${machine.cpus} cores`}</span>
      </div>
      <Meter
        name="Memory"
        used={used / machine.memory_total}
        words={`${bytes(machine.memory_available)} free of ${bytes(machine.memory_total)}`}
      />
      {machine.gpus.map((gpu) => (
        <GpuFigure key={gpu.index} gpu={gpu} />
      ))}
      {machine.gpus.length === 0 && (
        <div className="deepft-Figure">
          <span>GPU</span>
          <span className="deepft-Quiet">none: trains on the CPU</span>
        </div>
      )}
      <div className="deepft-Figure" title="Free space where the app store lies">
        <span>Disk</span>
        <span>{bytes(machine.disk_free)} free</span>
      </div>
    </div>
  );
}

function GpuFigure({ gpu }: { gpu: Gpu }): JSX.Element {
  const busy = gpu.utilisation === null ? '' : ` · ${percent(gpu.utilisation)} busy`;
  const free = gpu.memory_total - gpu.memory_used;
  return (
    <div title={`${gpu.name}${gpu.job ? `\nruns the job ${gpu.job}` : ''}`}>
      <Meter
        name={`GPU ${gpu.index}`}
        used={gpu.memory_used / gpu.memory_total}
        words={`${bytes(free)} free${busy}`}
      />
      <div className="deepft-Quiet deepft-Ellipsis">{gpu.name}</div>
    </div>
  );
}

function Meter({ name, used, words }: { name: string; used: number; words: string }): JSX.Element {
  const share = Math.min(Math.max(used, 0), 1);
  return (
    <div>
      <div className="deepft-Figure">
        <span>{name}</span>
        <span>{words}</span>
      </div>
      <div
        className="deepft-Meter"
        role="meter"
        aria-label={`${name} used`}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(share * 100)}
        aria-valuetext={words}
      >
        <div style={{ width: `${share * 100}%` }} />
      </div>
    </div>
  );
}
