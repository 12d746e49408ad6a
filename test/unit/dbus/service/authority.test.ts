import {describe, expect, test} from 'vitest';
import {Authority, type PolkitAnswer, type PolkitQuestion} from '../../../../src/dbus/service/authority.ts';

const pull = 'org.freedesktop.import1.pull';

function authority(
  uid: number | Error,
  answer: PolkitAnswer | undefined,
  questions: PolkitQuestion[] = [],
): Authority {
  return new Authority({
    ownUid: 990,
    callerUid: async () => {
      if (uid instanceof Error) throw uid;
      return uid;
    },
    askPolkit: async (question) => {
      questions.push(question);
      return answer;
    },
  });
}

function outcome(check: Promise<void>): Promise<unknown> {
  return check.then(
    () => 'may',
    (error) => error.errorName,
  );
}

describe('authority', () => {
  const caller = {sender: ':1.5', interactive: false};
  const denied = 'org.freedesktop.DBus.Error.AccessDenied';

  test.each([0, 990])('user %i may without being asked about', async (uid) => {
    const questions: PolkitQuestion[] = [];
    expect(await outcome(authority(uid, undefined, questions).check(caller, pull))).toBe('may');
    expect(questions).toEqual([]);
  });

  test('others may what polkit says, who is told whether it may ask', async () => {
    const questions: PolkitQuestion[] = [];
    const yes = authority(1000, {isAuthorized: true, isChallenge: false}, questions);
    expect(await outcome(yes.check({...caller, interactive: true}, pull))).toBe('may');
    expect(questions).toEqual([{subject: {sender: ':1.5'}, action: pull, mayInteract: true, details: {}}]);
    const no = authority(1000, {isAuthorized: false, isChallenge: false});
    expect(await outcome(no.check(caller, pull))).toBe(denied);
  });

  test('a caller that did not let polkit ask is told to', async () => {
    const challenge = authority(1000, {isAuthorized: false, isChallenge: true});
    expect(await outcome(challenge.check(caller, pull))).toBe(
      'org.freedesktop.DBus.Error.InteractiveAuthorizationRequired',
    );
    expect(await outcome(challenge.check({...caller, interactive: true}, pull))).toBe(denied);
  });

  test('without polkit, and when the bus does not know the caller any more, nobody may', async () => {
    expect(await outcome(authority(1000, undefined).check(caller, pull))).toBe(denied);
    expect(await outcome(authority(new Error('gone'), undefined).check(caller, pull))).toBe(denied);
  });
});
