/** What a new installation starts with: devices see one another, and admins also what is granted to them later. */
export const firstDocument = `# Who may reach what through the tunnel. Nothing is open that no \`allow\` line opens.
#
# Change this text with \`postern policy edit\`, or line by line: \`postern network add\`, \`postern service add\`,
# \`postern port -a\`. Before anything is put in force it is checked, and its own tests are run. Ask it with
# \`postern policy explain role:developer devices\`; policies/language/grammar.md tells the rest.

# Every user has one role. A role has its own grants and those of the roles it includes.
role developer
role admin includes developer

# A network is what lies behind a node, a service one address in it with its ports:
#   network internal = 172.19.0.0/16 via n1 dev br-internal
#   service gitlab   = 172.19.0.10 tcp/443, tcp/22 name gitlab.corp.internal front https
#   allow developer -> gitlab
#   allow ana@example.com -> internal tcp/5432 until 2027-01-31

# Devices reach the other devices of the VPN.
allow developer -> devices

# What must stay so is written as tests. A document whose tests fail is not put in force:
#   test role:developer -> internal denied
`;
