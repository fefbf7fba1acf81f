-- with: clock spread quick base
call('HDEL', P .. 'workers', ARGV[FIRST])
return done({ '' })
