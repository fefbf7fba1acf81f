-- with: base
return done({ '', now })
