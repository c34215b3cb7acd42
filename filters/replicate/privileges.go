package replicate

// metaPrivileges says whether files were copied with what gives them privileges, or without.
const metaPrivileges = "privileges"

func (u *unit) privilegesText() string {
	if u.r.options.NoPrivileges {
		return "without"
	}
	return "with"
}

// loadPrivileges finds out how the files that the replica has were copied, which neither their source nor their nodes
// tell.
func (u *unit) loadPrivileges() error {
	text, err := u.ix.Meta(metaPrivileges)
	u.privileges = string(text)
	return err
}

// owesPrivileges reports whether files were copied otherwise than is wanted now.
func (u *unit) owesPrivileges() bool { return u.privileges != "" && u.privileges != u.privilegesText() }

// savePrivileges notes that all files are as is wanted now.
func (u *unit) savePrivileges() error {
	if u.privileges == u.privilegesText() {
		return nil
	}
	b := u.ix.NewBatch()
	b.Meta(metaPrivileges, []byte(u.privilegesText()))
	u.privileges = u.privilegesText()
	return b.Commit(false)
}
