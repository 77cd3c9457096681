/** Modaliases of a node that are kept, at most. */
const most = 2000

/** A node's modaliases, a line each, sorted and each once; what is none is left out. */
export function parseModaliases(text: string): string[] {
  const lines = text.split('\n').map((line) => line.trim())
  const fit = lines.filter((line) => /^[A-Za-z][\w-]{0,30}:[\x21-\x7e]{1,4000}$/.test(line))
  return [...new Set(fit)].sort().slice(0, most)
}

/** Base classes of PCI devices, and subclasses that say more (PCI Code and ID Assignment Specification, 1). */
const pciClasses: Readonly<Record<string, string>> = {
  '00': 'old device',
  '01': 'storage controller',
  '0100': 'SCSI controller',
  '0101': 'IDE controller',
  '0104': 'RAID controller',
  '0106': 'SATA controller',
  '0107': 'SAS controller',
  '0108': 'NVMe controller',
  '02': 'network controller',
  '0200': 'Ethernet controller',
  '0207': 'InfiniBand controller',
  '0280': 'network controller',
  '03': 'display controller',
  '0300': 'VGA controller',
  '04': 'multimedia device',
  '05': 'memory controller',
  '06': 'bridge',
  '0600': 'host bridge',
  '0601': 'ISA bridge',
  '0604': 'PCI bridge',
  '07': 'communication controller',
  '0700': 'serial controller',
  '08': 'system peripheral',
  '09': 'input device',
  '0b': 'processor',
  '0c': 'serial bus controller',
  '0c03': 'USB controller',
  '0c05': 'SMBus',
  '0c07': 'IPMI interface',
  '0d': 'wireless controller',
  '10': 'encryption controller',
  '11': 'signal processor',
  '12': 'accelerator',
}

/** What a modalias stands for, for people: a PCI device by its class and id, anything else as it is. */
export function deviceText(modalias: string): string {
  const pci = pciDevice(modalias)
  if (pci)
    return `${pciClasses[pci.class] ?? pciClasses[pci.class.slice(0, 2)] ?? `device of class ${pci.class}`} ${pci.id}`
  const [, device, vendor] = /^virtio:d([0-9A-F]{8})v([0-9A-F]{8})/i.exec(modalias) ?? []
  if (device) return `virtio device ${Number.parseInt(device, 16)} of ${vendor!.slice(4).toLowerCase()}`
  const [, maker, product] = /^usb:v([0-9A-F]{4})p([0-9A-F]{4})/i.exec(modalias) ?? []
  if (maker) return `USB device ${maker}:${product}`.toLowerCase().replace('usb', 'USB')
  return modalias
}

/** `pci:v00008086d0000100Esv…sd…bc02sc00i00` */
function pciDevice(modalias: string): { readonly id: string; readonly class: string } | undefined {
  const [, vendor, device, base, sub] =
    /^pci:v0000([0-9A-F]{4})d0000([0-9A-F]{4})sv\w{8}sd\w{8}bc([0-9A-F]{2})sc([0-9A-F]{2})/i.exec(modalias) ?? []
  return vendor ? { id: `${vendor}:${device}`.toLowerCase(), class: `${base}${sub}`.toLowerCase() } : undefined
}

/**
 * PCI classes that work without a driver, or are of no use to a node that has all in RAM and nobody in front of it:
 * displays, sound, memory, bridges, system peripherals, processors and SMBus.
 */
const needless = /^(03|04|05|06|08|0b|0c05|11|13)/

/** Whether a device that no driver serves is worth telling of. */
export function wantsDriver(modalias: string): boolean {
  const pci = pciDevice(modalias)
  return pci ? !needless.test(pci.class) : /^(usb|virtio|vmbus|xen):/.test(modalias)
}
