/** Who is signed in, and what their role lets them do. The API decides; what it would refuse is not shown. */
import { createContext, useContext } from "react"
import type { Answer } from "./Api.ts"

export type Who = Answer<"session.whoAmI">
export type Role = Who["kind"]

const ROLES: ReadonlyArray<Role> = ["read", "operator", "admin"]

export const WhoContext = createContext<Who | undefined>(undefined)

export const useWho = (): Who => {
  const who = useContext(WhoContext)
  if (who === undefined) throw new Error("outside of <WhoContext>")
  return who
}

/** Whether they may do what the role may: each may do what those before it may. */
export const useMay = (role: Role): boolean => ROLES.indexOf(useWho().kind) >= ROLES.indexOf(role)
