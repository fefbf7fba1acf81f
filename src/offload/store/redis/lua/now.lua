-- with: clock quick base
return done({ '', now })
