/** What is done in the guest with a pool of type zfs, one step after the other. */
import type {Steps} from './guest.ts';
import {disk, diskChanges, type PublishedStreams, refused} from './pool-inputs.ts';

const partial = 'zfs list -H -o name -t all -r tank | grep partial';

const install = (name: string) => `imgctl install -q -P tank -m ${name}.imgmanifest -f ${name} >/dev/null`;

export function poolSteps({base, changed}: PublishedStreams): Steps {
  return {
    pool: `
      busybox ifconfig lo 127.0.0.1 up; mkdir -p /host/etc/imgctl; cp config.json /host/etc/imgctl/
      truncate -s 1500M /scratch/p; zpool create -O mountpoint=/tank tank /scratch/p; zfs create tank/images`,
    doctor: 'imgctl doctor',
    import: `
      imgctl serve --listen 127.0.0.1:8080 /in/server >/dev/null 2>&1 & server=$!
      for i in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null && break; sleep 0.3; done
      imgctl import -P tank ${changed}; status=$?
      kill $server; exit $status`,
    datasets: 'zfs list -H -r -t all -o name,type,origin,readonly,mounted tank/images',
    list: 'imgctl list -j',
    clone: `imgctl clone ${base} web1`,
    tree: 'python3 manifest.py /tank/images/web1',
    treeOfChanges: `imgctl clone ${changed} web2 >&2 && python3 manifest.py /tank/images/web2`,
    foreignClone: `zfs clone tank/images/${base}@final tank/aside && zfs snapshot tank/images/${base}@extra`,
    get: `imgctl get -r ${base}`,
    deleteRefused: `imgctl delete ${base}`,
    change: `
      echo changed >/tank/images/web1/etc/hostname; rm /tank/images/web1/empty; mkdir /tank/images/web1/new
      cat /dev/urandom | head -c 300000 >/tank/images/web1/new/random; sync
      python3 manifest.py /tank/images/web1`,
    createIncremental: `
      imgctl create -q -i -c gzip -o /scratch/incr web1 name=web version=2 >/dev/null || exit $?
      ls /scratch; ${partial}; cat /scratch/incr.imgmanifest >&2`,
    create: `imgctl create -q -c xz -o /scratch/whole web1 name=web version=1 >/dev/null || exit $?; ls /scratch; ${partial}`,
    installCreated: `
      imgctl install -q -P tank -m /scratch/incr.imgmanifest -f /scratch/incr.zfs.gz >/dev/null || exit $?
      uuid=$(sed -n 's/.*"uuid": "\\(.*\\)".*/\\1/p' /scratch/incr.imgmanifest)
      zfs get -H -o value origin tank/images/$uuid >&2
      imgctl clone $uuid web3 >&2 && python3 manifest.py /tank/images/web3`,
    installCreatedInDirectory: `
      imgctl install -q -m /scratch/whole.imgmanifest -f /scratch/whole.zfs.xz >/dev/null || exit $?
      uuid=$(sed -n 's/.*"uuid": "\\(.*\\)".*/\\1/p' /scratch/whole.imgmanifest)
      python3 manifest.py /host/var/lib/machines/$uuid`,
    runningInstance: `
      imgctl clone ${base} web4 >&2; cp -a /usr/bin/busybox /tank/images/web4/
      (exec chroot /tank/images/web4 /busybox sleep 1000) & sleeper=$!; sleep 1
      imgctl create -q -o /scratch/running web4 name=web version=1; status=$?
      kill $sleeper; exit $status`,
    mountedSnapshot: `
      uuid=$(sed -n 's/.*"uuid": "\\(.*\\)".*/\\1/p' /scratch/incr.imgmanifest)
      zfs destroy tank/images/web3; mkdir -p /mnt/snap; mount -t zfs tank/images/$uuid@final /mnt/snap
      imgctl delete --yes $uuid; status=$?
      umount /mnt/snap; exit $status`,
    delete: `
      uuid=$(sed -n 's/.*"uuid": "\\(.*\\)".*/\\1/p' /scratch/incr.imgmanifest)
      imgctl delete --yes $uuid || exit $?
      zfs list -H -o name -r tank/images | grep $uuid`,
    disks: `${install('zvol-8K-c')} && ${install('zvol-8K-incr')} && zfs list -H -r -t volume -o name,origin tank/images`,
    diskClones: `
      imgctl clone ${disk} disk1 && imgctl clone ${diskChanges} disk2 || exit $?
      udevadm settle; python3 volsum.py /dev/zvol/tank/images/disk1 >$OUT/disk1.json
      python3 volsum.py /dev/zvol/tank/images/disk2 >$OUT/disk2.json; ls /dev/zvol/tank/images`,
    diskInUse: `
      exec 5</dev/zvol/tank/images/disk1; imgctl create -q -o /scratch/busy disk1 name=d version=1; status=$?
      exec 5<&-; exit $status`,
    createDisk: `
      imgctl create -q -i -o /scratch/disk disk2 name=d version=1 >/dev/null || exit $?
      cat /scratch/disk.imgmanifest; ls /scratch`,
    refuseTar: `${install('tar')}; status=$?; ${partial}; exit $status`,
    refuseEncrypted: `${install('refuse-raw-encrypted')}; status=$?; ${partial}; exit $status`,
    refuseSeveral: `${install('fs-replicate')}; status=$?; ${partial}; exit $status`,
    refuseCut: `${install('cut')}; status=$?; ${partial}; exit $status`,
    refuseFlipped: `${install('flipped')}; status=$?; ${partial}; exit $status`,
    refuseOtherOrigin: `${install('fs-incr2')}; status=$?; ${partial}; exit $status`,
    refuseName: `imgctl clone ${base} 'a b'; imgctl clone ${base} web1`,
    properties: `
      zfs create -o mountpoint=/etc/nowhere -o setuid=on -o imgctl:x=y tank/src && echo hello >/etc/nowhere/file
      zfs snapshot tank/src@other && zfs send -p tank/src@other >/scratch/p.zfs; zfs destroy -r tank/src
      sed 's/"files":.*\\]/"description": "x"/; s/${refused}/66666666-6666-4666-8666-666666666666/' fs-p.imgmanifest >/scratch/p.imgmanifest
      imgctl install -q -P tank -m /scratch/p.imgmanifest -f /scratch/p.zfs >/dev/null || exit $?
      dataset=tank/images/66666666-6666-4666-8666-666666666666
      zfs get -H -o value mountpoint,canmount,imgctl:x,readonly $dataset; zfs list -H -t snapshot -o name -r $dataset
      zfs list -H -o mounted $dataset`,
    kill: `
      zfs create tank/big && head -c 150M /dev/urandom >/tank/big/file && zfs snapshot tank/big@final
      zfs send tank/big@final >/scratch/big.zfs; zfs destroy -r tank/big
      sed 's/"files":.*\\]/"description": "x"/; s/${refused}/77777777-7777-4777-8777-777777777777/' fs-p.imgmanifest >/scratch/big.imgmanifest
      for moment in started half late; do
        imgctl install -q -P tank -m /scratch/big.imgmanifest -f /scratch/big.zfs >/dev/null & pid=$!
        for i in $(seq 600); do
          ${partial} >/dev/null && break; kill -0 $pid 2>/dev/null || fail ended early; sleep 0.1
        done
        case $moment in half) sleep 1;; late) sleep 3;; esac
        kill -9 $pid; wait $pid 2>/dev/null
        imgctl list -H -o uuid | grep 77777777 && fail visible
        zfs list -H -o name tank/images/77777777-7777-4777-8777-777777777777 2>/dev/null && fail visible
        echo "$moment: killed"
      done
      while grep -qa '^zfs.recv' /proc/[0-9]*/cmdline 2>/dev/null; do sleep 0.2; done
      imgctl install -q -P tank -m /scratch/big.imgmanifest -f /scratch/big.zfs >/dev/null || exit $?
      ${partial}; zfs list -H -o name,used tank/images/77777777-7777-4777-8777-777777777777`,
    cancel: `
      imgctl delete -q --yes 77777777-7777-4777-8777-777777777777
      imgctl install -q -P tank -m /scratch/big.imgmanifest -f /scratch/big.zfs >/dev/null & pid=$!
      for i in $(seq 600); do ${partial} >/dev/null && break; sleep 0.1; done
      kill -INT $pid; wait $pid; status=$?; ${partial}; exit $status`,
    leftSnapshot: `
      mark=$(printf %s /host/run/imgctl | sha256sum | cut -c1-8)
      zfs snapshot tank/images/web1@imgctl-partial-$mark-0123456789abcdef
      zfs snapshot tank/images/web1@imgctl-partial-00000000-0123456789abcdef
      zfs create tank/images/imgctl-partial-$mark-0123456789abcdef
      imgctl list --all -H -o uuid,name >&2; imgctl clone ${base} web9 >&2; ${partial}`,
    update: `
      zfs set readonly=off tank/images/${changed}
      imgctl serve --listen 127.0.0.1:8080 /in/server >/dev/null 2>&1 & server=$!
      for i in $(seq 100); do (exec 3<>/dev/tcp/127.0.0.1/8080) 2>/dev/null && break; sleep 0.3; done
      imgctl update ${changed}; kill $server; zfs get -H -o value readonly tank/images/${changed}`,
    unmountable: `
      mkdir -p /tank/images/web8 && echo x >/tank/images/web8/file && zfs set overlay=off tank/images
      imgctl clone ${base} web8; status=$?; zfs list -H -o name tank/images/web8; exit $status`,
    captures: `
      zfs list -H -p -r -d 1 -t filesystem,volume -o name,type,mountpoint,readonly,creation,used,volsize tank/images
      echo; zfs list -H -p -r -d 2 -t snapshot -o name,clones tank/images`,
  };
}
