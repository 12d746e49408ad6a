import {type BootReport, type ReportedWish, reportBoot} from '../actions/boot-report.ts';
import {readBootPlan} from '../cli/boot-wishes.ts';
import {defineCommand} from '../cli/command.ts';
import {cellText, drawTable} from '../cli/table.ts';
import {readUnitState} from '../cli/unit-states.ts';

export default defineCommand({
  id: 'boot-report',
  family: 'imgctl',
  summary: 'tell what became of the images wanted at boot',
  description:
    'Reads again what the kernel command line, the credential import.pull and the files of wanted.d ask for, and tells for each image whether it was fetched, by which key it was verified, or why not.',
  flags: {},
  args: [],
  examples: ['boot-report', 'boot-report -j'],
  exitStatus: {6: 'an image could not be fetched, or something was refused'},
  run: async (context): Promise<BootReport> => {
    const plan = readBootPlan(context);
    for (const complaint of plan.complaints) context.output.warn(complaint);
    const stateOf = (unit: string) => readUnitState(unit, context.signal);
    const {bootNotes: notes, lastNotes} = await context.notes();
    return reportBoot({notes, lastNotes, records: context.records(), stateOf}, plan);
  },
  draw: ({wishes}, _input, context) =>
    drawTable({
      columns: ['class', 'name', 'outcome', 'verified', 'from', 'why'],
      rows: wishes.map((wish) => [
        wish.class,
        cellText(wish.name),
        wish.outcome,
        verifiedBy(wish),
        cellText(wish.from),
        cellText(wish.why),
      ]),
      header: true,
      ...context.tableLook,
    }),
  statusOf: ({wishes, complaints}) =>
    complaints.length > 0 || wishes.some(({outcome}) => outcome === 'failed' || outcome === 'duplicate')
      ? 6
      : 0,
});

/** The key where there was one; `-` where it is not known. */
function verifiedBy({verification}: ReportedWish): string {
  return verification?.keyFingerprint ?? verification?.level ?? '-';
}
