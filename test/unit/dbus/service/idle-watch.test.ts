import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest';
import {IdleWatch} from '../../../../src/dbus/service/idle-watch.ts';

describe('the idle watch', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('counts from the end of the last thing that went on', () => {
    const onIdle = vi.fn();
    const watch = new IdleWatch(1000, onIdle);
    vi.advanceTimersByTime(900);
    const ends = [watch.begin(), watch.begin()];
    ends[0]?.();
    ends[0]?.();
    vi.advanceTimersByTime(5000);
    expect(onIdle).not.toHaveBeenCalled();
    ends[1]?.();
    vi.advanceTimersByTime(999);
    expect(onIdle).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(onIdle).toHaveBeenCalledOnce();
  });

  test('stops at once, or when what goes on is over', async () => {
    const onIdle = vi.fn();
    const watch = new IdleWatch(1000, onIdle);
    const end = watch.begin();
    const stopped = vi.fn();
    const stopping = watch.stop().then(stopped);
    await Promise.resolve();
    expect(stopped).not.toHaveBeenCalled();
    end();
    await stopping;
    vi.advanceTimersByTime(5000);
    expect(onIdle).not.toHaveBeenCalled();
    await watch.stop();
  });

  test('never tells with no time', () => {
    const onIdle = vi.fn();
    new IdleWatch(0, onIdle).begin()();
    vi.advanceTimersByTime(1e9);
    expect(onIdle).not.toHaveBeenCalled();
  });
});
