package node

import "runtime"

// LocksFolders says whether a folder can be locked on this system.
const LocksFolders = runtime.GOOS != "windows"
