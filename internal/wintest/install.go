package wintest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Install is a Windows installation to be built: its registry, and its files by their paths.
type Install struct {
	Software, System HiveKey
	Minor            uint32 // of both hives, as in Hive
	Files            map[string][]byte
}

// Places of an Install.
const (
	CurrentVersion = `Microsoft\Windows NT\CurrentVersion`
	Packages       = `Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages\`
	SessionManager = `ControlSet002\Control\Session Manager`

	Config   = "Windows/System32/config/"
	Fltmgr   = "Windows/System32/drivers/fltmgr.sys"
	Ntoskrnl = "Windows/System32/ntoskrnl.exe"
	Ntkrnlpa = "Windows/System32/ntkrnlpa.exe"
)

// Windows returns a system without files, which was on drive C: when it ran. pack is what CSDVersion says, or nothing; as is
// WinNT, ServerNT or LanmanNT.
func Windows(nt, build, pack, as string) *Install {
	w := &Install{Files: map[string][]byte{}}
	w.Software.Put(CurrentVersion, Text("CurrentVersion", nt), Text("CurrentBuildNumber", build), Text("ProductName", "Windows of a test"),
		Text("SystemRoot", `C:\Windows`), Text("BuildLabEx", build+".test"))
	if pack != "" {
		w.Software.Put(CurrentVersion, Text("CSDVersion", pack))
	}
	w.System.Put("Select", Number("Current", 2))
	w.System.Put(`ControlSet001\Control\ProductOptions`, Text("ProductType", "that of another time"))
	w.System.Put(`ControlSet002\Control\ProductOptions`, Text("ProductType", as))
	w.System.Put(SessionManager, Text("ObjectDirectories", "x"))
	return w
}

// Executable returns a file of a version, behind which the suffix of its branch may stand: "5.2.3790.4601 qfe".
func Executable(machine uint16, version, original string) []byte {
	number, suffix, branched := strings.Cut(version, " ")
	var v [4]uint16
	for i, part := range strings.SplitN(number, ".", len(v)) {
		n, _ := strconv.ParseUint(part, 10, 16)
		v[i] = uint16(n)
	}
	if branched {
		number += " (srv03_sp2_" + suffix + ".091009-1259)"
	}
	return PE{Machine: machine, Version: v, FileVersion: number, OriginalFilename: original, ProductName: "Windows of a test"}.Bytes()
}

// Has gives the system a filter manager and a kernel for x64.
func (w *Install) Has(filterManager, kernel string) *Install {
	return w.With(Fltmgr, Executable(X64, filterManager, "fltMgr.sys")).With(Ntoskrnl, Executable(X64, kernel, "ntkrnlmp.exe"))
}

// With gives the system a file.
func (w *Install) With(path string, b []byte) *Install {
	w.Files[path] = b
	return w
}

// Write writes the system below a directory.
func (w *Install) Write(root string) error {
	w.Files[Config+"SOFTWARE"] = Hive{Root: w.Software, Minor: w.Minor}.Bytes()
	w.Files[Config+"SYSTEM"] = Hive{Root: w.System, Minor: w.Minor}.Bytes()
	for path, b := range w.Files {
		at := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(at, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}
