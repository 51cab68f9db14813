/** Networks of addresses, such as `10.0.0.0/8` or `2001:db8::/32`: which are such, and what is within them. Pure. */
import { BlockList, isIP, isIPv6 } from "node:net"

/** Whether the text names an address, or a network of them. */
export const isNetwork = (text: string): boolean => {
  const [address = "", bits, ...rest] = text.split("/")
  const family = isIP(address)
  if (family === 0 || rest.length > 0 || /%/.test(address)) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

/** An IPv4 address as it is, also where the system writes it as one of IPv6 (`::ffff:10.1.2.3`). */
export const plainAddress = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, "")

/** Whether an address is within one of the networks, all of which are such. */
export const makeNetworks = (networks: ReadonlyArray<string>): ((address: string) => boolean) => {
  const list = new BlockList()
  for (const network of networks) {
    const [of = "", bits] = network.split("/")
    const family = isIP(of) === 4 ? "ipv4" : "ipv6"
    if (bits === undefined) list.addAddress(of, family)
    else list.addSubnet(of, Number(bits), family)
  }
  return (address) => {
    const plain = plainAddress(address)
    return isIP(plain) !== 0 && list.check(plain, isIP(plain) === 4 ? "ipv4" : "ipv6")
  }
}

/** An address, or the first 64 bits of one of IPv6: whoever has one has them all. */
export const placeOf = (address: string): string => {
  const plain = plainAddress(address)
  if (!isIPv6(plain)) return plain
  const [head = "", tail = ""] = plain.split("%")[0]!.split("::")
  const before = head === "" ? [] : head.split(":")
  const after = tail === "" ? [] : tail.split(":")
  const zeros = plain.includes("::")
    ? Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => "0")
    : []
  return [...before, ...zeros, ...after]
    .slice(0, 4)
    .map((part) => Number.parseInt(part, 16).toString(16))
    .join(":")
}
