package replicate

// metaPrivileges says whether files were copied with what gives them privileges, or without.
const metaPrivileges = "privileges"

func (u *unit) privilegesText() string {
	if u.r.options.NoPrivileges {
		return "without"
	}
	return "with"
}

// loadPrivileges finds out whether the files that the replica has were copied otherwise than is wanted now, which
// neither their source nor the index tells.
func (u *unit) loadPrivileges() error {
	text, err := u.ix.Meta(metaPrivileges)
	u.privileges = text != nil && string(text) != u.privilegesText()
	return err
}

// savePrivileges notes that all files are as is wanted now.
func (u *unit) savePrivileges() error {
	b := u.ix.NewBatch()
	b.Meta(metaPrivileges, []byte(u.privilegesText()))
	u.privileges = false
	return b.Commit(false)
}
