/** Introspection data as sd-bus writes it, so that tools see the same text as from systemd's importd. */

import {
  type InterfaceDescription,
  logControlInterface,
  logControlPath,
  managerInterface,
  managerPath,
  type PropertyDescription,
  transferInterface,
  transferParentPath,
} from './interfaces.ts';

const head = `<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"
"https://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">
<node>
`;

/** What sd-bus serves on every object. */
const standardInterfaces = ` <interface name="org.freedesktop.DBus.Peer">
  <method name="Ping"/>
  <method name="GetMachineId">
   <arg type="s" name="machine_uuid" direction="out"/>
  </method>
 </interface>
 <interface name="org.freedesktop.DBus.Introspectable">
  <method name="Introspect">
   <arg name="xml_data" type="s" direction="out"/>
  </method>
 </interface>
 <interface name="org.freedesktop.DBus.Properties">
  <method name="Get">
   <arg name="interface_name" direction="in" type="s"/>
   <arg name="property_name" direction="in" type="s"/>
   <arg name="value" direction="out" type="v"/>
  </method>
  <method name="GetAll">
   <arg name="interface_name" direction="in" type="s"/>
   <arg name="props" direction="out" type="a{sv}"/>
  </method>
  <method name="Set">
   <arg name="interface_name" direction="in" type="s"/>
   <arg name="property_name" direction="in" type="s"/>
   <arg name="value" direction="in" type="v"/>
  </method>
  <signal name="PropertiesChanged">
   <arg type="s" name="interface_name"/>
   <arg type="a{sv}" name="changed_properties"/>
   <arg type="as" name="invalidated_properties"/>
  </signal>
 </interface>
`;

/** `children` are the names of the nodes right below. */
export function introspectionXml(
  interfaces: readonly InterfaceDescription[],
  children: readonly string[],
): string {
  const nodes = children.map((name) => ` <node name="${name}"/>\n`);
  return [head, standardInterfaces, ...interfaces.map(interfaceXml), ...nodes, '</node>\n'].join('');
}

function interfaceXml({name, properties, methods, signals}: InterfaceDescription): string {
  const methodLines = methods.flatMap((method) => [
    `  <method name="${method.name}">`,
    ...method.in.map(
      (argument) => `   <arg type="${argument.type}" name="${argument.name}" direction="in"/>`,
    ),
    ...method.out.map(
      (argument) => `   <arg type="${argument.type}" name="${argument.name}" direction="out"/>`,
    ),
    '  </method>',
  ]);
  const signalLines = signals.flatMap((signal) => [
    `  <signal name="${signal.name}">`,
    ...signal.arguments.map((argument) => `   <arg type="${argument.type}" name="${argument.name}"/>`),
    '  </signal>',
  ]);
  const lines = [
    ` <interface name="${name}">`,
    ...properties.flatMap(propertyLines),
    ...methodLines,
    ...signalLines,
    ' </interface>',
  ];
  return `${lines.join('\n')}\n`;
}

function propertyLines({name, type, emits, isWritable = false}: PropertyDescription): string[] {
  const annotation = (key: string, value: string) => `   <annotation name="${key}" value="${value}"/>`;
  return [
    `  <property name="${name}" type="${type}" access="${isWritable ? 'readwrite' : 'read'}">`,
    annotation('org.freedesktop.DBus.Property.EmitsChangedSignal', emits),
    ...(isWritable ? [annotation('org.freedesktop.systemd1.Privileged', 'true')] : []),
    '  </property>',
  ];
}

interface DescribedObject {
  path: string;
  description: InterfaceDescription;
  children: readonly string[];
}

/** What there is to tell of without a bus: a transfer stands for all of them. */
export const describedObjects: readonly DescribedObject[] = [
  {path: managerPath, description: managerInterface, children: ['transfer']},
  {path: transferParentPath, description: transferInterface, children: []},
  {path: logControlPath, description: logControlInterface, children: []},
];
